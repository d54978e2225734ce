-- grain: one row per day and segment value
with gaps as (select * from {{ ref('mart_activity_gaps_by_dimension') }}),

counts as (select * from {{ ref('mart_daily_counts_by_dimension') }}),

-- who was active in the last w days is who is active under a window of w days
changes as (
    select segment, segment_value, date, active_customers as dau, new_customers as wau_change, new_customers as mau_change
    from counts
    {%- for window, wau, mau in [(7, 1, 0), (28, 0, 1)] %}
    union all
    select segment, segment_value, returned_on, 0, {{ wau }} * customers, {{ mau }} * customers
    from gaps
    where gap_days > {{ window }}
    union all
    select segment, segment_value, {{ add_days('activity_date', window) }}, 0, -{{ wau }} * customers, -{{ mau }} * customers
    from gaps
    where gap_days is null or gap_days > {{ window }}
    {%- endfor %}
),

by_day as (
    select
        segment,
        segment_value,
        date,
        sum(dau) as dau,
        sum(wau_change) as wau_change,
        sum(mau_change) as mau_change,
    from changes
    group by segment, segment_value, date
),

every_day as ({{ every_day_of_each_segment('by_day') }}),

counted as (
    select
        every_day.date,
        every_day.segment,
        every_day.segment_value,
        coalesce(by_day.dau, 0) as dau,
        {%- for name in ['wau', 'mau'] %}
        sum(coalesce(by_day.{{ name }}_change, 0)) over (
            partition by every_day.segment, every_day.segment_value order by every_day.date
            rows between unbounded preceding and current row
        ) as {{ name }},
        {%- endfor %}
    from every_day
    left join by_day
        on every_day.date = by_day.date
        and every_day.segment = by_day.segment
        and every_day.segment_value = by_day.segment_value
),

final as (
    select
        date,
        segment,
        segment_value,
        cast(dau as {{ dbt.type_bigint() }}) as dau,
        cast(wau as {{ dbt.type_bigint() }}) as wau,
        cast(mau as {{ dbt.type_bigint() }}) as mau,
        {{ share('sum(dau) over (partition by segment, segment_value order by date rows between 27 preceding and current row) / 28e0', 'mau') }}
            as stickiness,
        date as final_on,
        false as is_provisional,
    from counted
)

select * from final
