-- grain: one row per day and segment: who had an active day, and for whom it was the first
{{ config(materialized='incremental', pre_hook="{{ neopulse.forget_cube_days('date') }}") }}

with customer_days as (
    select * from {{ ref('fct_customer_days') }}
    where activity_date >= {{ cubes_changed_from() }}
),

customers as (select * from {{ ref('dim_customers') }}),

final as (
    select
        customer_days.activity_date as date,
        customers.segment_id,
        count(*) as active_customers,
        count(case when customer_days.previous_activity_date is null then 1 end) as new_customers,
    from customer_days
    inner join customers on customer_days.customer_key = customers.customer_key
    group by customer_days.activity_date, customers.segment_id
)

select * from final
