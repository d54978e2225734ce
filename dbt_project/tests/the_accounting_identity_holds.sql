-- active(t) = active(t-1) + new(t) + resurrected(t) - churned(t), every day and segment value
with growth as (select * from {{ ref('mart_growth_accounting') }}),

compared as (
    select
        *,
        coalesce(lag(active_customers) over (partition by segment, segment_value order by date), 0) as active_before,
    from growth
)

select *
from compared
where active_customers <> active_before + new_customers + resurrected_customers - churned_customers
