-- growth accounting comes from the cubes of gaps; here each day's stock and its changes are counted from the stretches of the customers.
-- So active(t) = active(t-1) + new(t) + resurrected(t) - churned(t) says something: whatever the cubes lose or count twice is a difference.
with growth as (select * from {{ ref('mart_growth_accounting') }}),

stretches as (
    select stretches.*, {{ dimension_columns('segments') }}
    from {{ ref('fct_activity_stretches') }} as stretches
    inner join {{ ref('dim_segments') }} as segments on stretches.segment_id = segments.segment_id
),

ends as (
    select
        starting_date as date,
        {{ dimension_columns() }},
        case when is_first then 1 else 0 end as new_customers,
        case when is_first then 0 else 1 end as resurrected_customers,
        0 as churned_customers,
    from stretches
    union all
    select lapsed_on, {{ dimension_columns() }}, 0, 0, 1 from stretches where lapsed_on is not null
),

changes as (
    select
        date,
        {{ segment_columns() }},
        sum(new_customers) as new_customers,
        sum(resurrected_customers) as resurrected_customers,
        sum(churned_customers) as churned_customers,
    from ends
    group by {{ segment_sets(['date']) }}
),

compared as (
    select
        growth.date as counted_date,
        coalesce(growth.segment, changes.segment) as segment,
        coalesce(growth.segment_value, changes.segment_value) as segment_value,
        coalesce(growth.date, changes.date) as date,
        growth.active_customers,
        growth.new_customers,
        growth.resurrected_customers,
        growth.churned_customers,
        coalesce(changes.new_customers, 0) as new_of_stretches,
        coalesce(changes.resurrected_customers, 0) as resurrected_of_stretches,
        coalesce(changes.churned_customers, 0) as churned_of_stretches,
    from growth
    full outer join changes
        on growth.date = changes.date
        and growth.segment = changes.segment
        and growth.segment_value = changes.segment_value
),

with_stock as (
    select
        *,
        sum(new_of_stretches + resurrected_of_stretches - churned_of_stretches) over (
            partition by segment, segment_value order by date rows between unbounded preceding and current row
        ) as active_of_stretches,
    from compared
)

select *
from with_stock
where counted_date is null
    or active_customers <> active_of_stretches
    or new_customers <> new_of_stretches
    or resurrected_customers <> resurrected_of_stretches
    or churned_customers <> churned_of_stretches
