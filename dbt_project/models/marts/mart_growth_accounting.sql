-- grain: one row per day and segment value, under the inactivity window N, recognised clock
with gaps as (
    select * from {{ ref('mart_activity_gaps_by_dimension') }}
    where gap_days is null or gap_days > {{ inactivity_days() }}
),

counts as (select * from {{ ref('mart_daily_counts_by_dimension') }}),

changes as (
    select segment, segment_value, date, new_customers, 0 as resurrected_customers, 0 as churned_customers
    from counts
    union all
    select segment, segment_value, returned_on, 0, customers, 0
    from gaps
    where returned_on is not null
    union all
    select segment, segment_value, {{ add_days('activity_date', inactivity_days()) }}, 0, 0, customers
    from gaps
),

by_day as (
    select
        segment,
        segment_value,
        date,
        sum(new_customers) as new_customers,
        sum(resurrected_customers) as resurrected_customers,
        sum(churned_customers) as churned_customers,
    from changes
    group by segment, segment_value, date
),

every_day as ({{ every_day_of_each_segment('by_day') }}),

final as (
    select
        every_day.date,
        every_day.segment,
        every_day.segment_value,
        cast(sum(
            coalesce(by_day.new_customers, 0) + coalesce(by_day.resurrected_customers, 0) - coalesce(by_day.churned_customers, 0)
        ) over (
            partition by every_day.segment, every_day.segment_value order by every_day.date
            rows between unbounded preceding and current row
        ) as {{ dbt.type_bigint() }}) as active_customers,
        cast(coalesce(by_day.new_customers, 0) as {{ dbt.type_bigint() }}) as new_customers,
        cast(coalesce(by_day.resurrected_customers, 0) as {{ dbt.type_bigint() }}) as resurrected_customers,
        cast(coalesce(by_day.churned_customers, 0) as {{ dbt.type_bigint() }}) as churned_customers,
        every_day.date as final_on,
        false as is_provisional,
    from every_day
    left join by_day
        on every_day.date = by_day.date
        and every_day.segment = by_day.segment
        and every_day.segment_value = by_day.segment_value
)

select * from final
