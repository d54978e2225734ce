-- the cube that answers every window counts each active day of each customer once
select gaps.customers, days.customer_days
from (select coalesce(sum(customers), 0) as customers from {{ ref('mart_activity_gaps') }}) as gaps
cross join (select count(*) as customer_days from {{ ref('fct_customer_days') }}) as days
where gaps.customers <> days.customer_days
