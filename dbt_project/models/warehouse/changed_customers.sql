-- grain: one row per customer who differs from the last run: in active days, in opening or in segment; none without such a run
{% if builds_on_the_last_run() -%}
with before as (select * from {{ before('customers') }}),

customers as (select * from {{ ref('dim_customers') }}),

compared as (
    select
        coalesce(customers.customer_key, before.customer_key) as customer_key,
        coalesce(before.segment_id <> customers.segment_id or before.opening_date <> customers.opening_date, false) as has_moved,
        coalesce(before.last_active_day >= {{ changed_from() }}, false)
            or coalesce(customers.last_active_day >= {{ changed_from() }}, false) as has_changed_days,
        before.customer_key is null or customers.customer_key is null as is_new_or_gone,
    from before
    full outer join customers on before.customer_key = customers.customer_key
),

final as (
    select customer_key, has_moved
    from compared
    where has_moved or has_changed_days or is_new_or_gone
)
{%- else -%}
with final as (select customer_key, true as has_moved from {{ ref('dim_customers') }} where false)
{%- endif %}

-- depends_on: {{ ref('change_window') }}
select * from final
