-- grain: one row per customer with a row of users whose account was open on as_of
{{ config(materialized='view') }}

with customers as (select * from {{ ref('dim_customers') }}),

publication as (select * from {{ ref('dim_publication') }}),

final as (
    select
        customers.user_id,
        {{ dimension_columns('customers') }},
        customers.opening_date,
        customers.first_active_day,
        {{ days_between('customers.opening_date', 'customers.first_active_day') }} as days_to_first_transaction,
        {{ days_between('customers.opening_date', 'coalesce(customers.first_active_day, publication.as_of)') }} as follow_up_days,
        customers.first_active_day is null as is_censored,
    from customers
    inner join publication on customers.opening_date <= publication.as_of
    -- when the others opened their account is not known: their first transaction stands in for it
    where customers.has_user_row
)

select * from final
