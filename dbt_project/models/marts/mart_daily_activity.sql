-- grain: one row per day and segment value
with gaps as (select * from {{ ref('mart_activity_gaps') }}),

windows as (
    select 1 as days
    union all
    select 7
    union all
    select 28
),

-- who was active in the last w days is who is active under a window of w days
changes as (
    select activity_date as date, {{ dimension_columns() }}, days, customers
    from gaps
    cross join windows
    union all
    select
        {{ add_days('activity_date', 'least(coalesce(gap_days, days), days)') }},
        {{ dimension_columns() }}, days, -customers,
    from gaps
    cross join windows
),

by_day as (
    select
        date,
        {{ segment_columns() }},
        sum(case when days = 1 then customers else 0 end) as dau_change,
        sum(case when days = 7 then customers else 0 end) as wau_change,
        sum(case when days = 28 then customers else 0 end) as mau_change,
    from changes
    group by {{ segment_sets(['date']) }}
),

segments as (
    select segment, segment_value, min(date) as first_date
    from by_day
    group by segment, segment_value
),

every_day as (
    select segments.segment, segments.segment_value, dates.date_day as date
    from segments
    inner join {{ ref('dim_dates') }} as dates on dates.date_day >= segments.first_date and not dates.is_after_as_of
),

counted as (
    select
        every_day.date,
        every_day.segment,
        every_day.segment_value,
        {%- for name in ['dau', 'wau', 'mau'] %}
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
        cast(dau as bigint) as dau,
        cast(wau as bigint) as wau,
        cast(mau as bigint) as mau,
        {{ share('sum(dau) over (partition by segment, segment_value order by date rows between 27 preceding and current row) / 28e0', 'mau') }}
            as stickiness,
        date as final_on,
        false as is_provisional,
    from counted
)

select * from final
