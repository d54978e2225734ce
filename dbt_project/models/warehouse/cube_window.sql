-- grain: one row: from which bank day on what is counted by segment has to be counted again
with change_window as (select * from {{ ref('change_window') }}),

customers as (select * from {{ ref('dim_customers') }}),

{% if builds_on_the_last_run() -%}
-- the bank keeps no history of plans and countries: who moves takes the past along
moved as (
    select count(*) as customers
    from {{ before('customers') }} as before
    inner join customers on before.customer_key = customers.customer_key
    where before.segment_id <> customers.segment_id or before.opening_date <> customers.opening_date
),
{%- else -%}
moved as (select count(*) as customers from customers),
{%- endif %}

final as (
    select
        case when moved.customers > 0 then {{ neopulse.beginning() }} else change_window.changed_from end as changed_from,
    from change_window
    cross join moved
)

select * from final
