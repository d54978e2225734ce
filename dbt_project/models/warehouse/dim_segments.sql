-- grain: one row per combination of dimensions that a customer has
with customers as (select * from {{ ref('dim_customers') }}),

final as (
    select segment_id, {{ dimension_columns() }}, count(*) as customers
    from customers
    group by segment_id, {{ dimension_columns() }}
)

select * from final
