-- grain: one row per day and segment value, under the inactivity window N, recognised clock
with gaps as (select * from {{ ref('mart_activity_gaps') }}),

publication as (select * from {{ ref('dim_publication') }}),

-- every pair of active days keeps its customer active from the first day until the next one or until N days have passed
changes as (
    select
        activity_date as date,
        {{ dimension_columns() }},
        customers as entering,
        case when is_first then customers else 0 end as new_customers,
        0 as resurrected_customers,
        0 as churned_customers,
    from gaps
    union all
    select
        {{ add_days('activity_date', 'least(coalesce(gap_days, inactivity_days), inactivity_days)') }},
        {{ dimension_columns() }},
        -customers,
        0,
        0,
        case when gap_days is null or gap_days > inactivity_days then customers else 0 end,
    from gaps
    cross join publication
    union all
    select {{ add_days('activity_date', 'gap_days') }}, {{ dimension_columns() }}, 0, 0, customers, 0
    from gaps
    cross join publication
    where gap_days > inactivity_days
),

by_day as (
    select
        date,
        {{ segment_columns() }},
        sum(entering) as entering,
        sum(new_customers) as new_customers,
        sum(resurrected_customers) as resurrected_customers,
        sum(churned_customers) as churned_customers,
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

final as (
    select
        every_day.date,
        every_day.segment,
        every_day.segment_value,
        cast(sum(coalesce(by_day.entering, 0)) over (
            partition by every_day.segment, every_day.segment_value order by every_day.date
            rows between unbounded preceding and current row
        ) as bigint) as active_customers,
        cast(coalesce(by_day.new_customers, 0) as bigint) as new_customers,
        cast(coalesce(by_day.resurrected_customers, 0) as bigint) as resurrected_customers,
        cast(coalesce(by_day.churned_customers, 0) as bigint) as churned_customers,
        every_day.date as final_on,
        false as is_provisional,
    from every_day
    left join by_day
        on every_day.date = by_day.date
        and every_day.segment = by_day.segment
        and every_day.segment_value = by_day.segment_value
)

select * from final
