-- active customers on as_of: from the gaps, from the customers and from the open stretches
with growth as (
    select coalesce(max(growth.active_customers), 0) as active_customers
    from {{ ref('mart_growth_accounting') }} as growth
    inner join {{ ref('dim_publication') }} as publication on growth.date = publication.as_of
    where growth.segment = 'all'
),

customers as (
    select count(*) as active_customers from {{ ref('mart_customers') }} where is_active
),

stretches as (
    select count(*) as active_customers from {{ ref('mart_user_is_active') }} where is_active and ending_date is null
)

select growth.active_customers, customers.active_customers as of_customers, stretches.active_customers as of_stretches
from growth
cross join customers
cross join stretches
where growth.active_customers <> customers.active_customers or customers.active_customers <> stretches.active_customers
