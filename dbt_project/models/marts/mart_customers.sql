-- grain: one row per customer whose account was open on as_of
with customers as (select * from {{ ref('dim_customers') }}),

publication as (select * from {{ ref('dim_publication') }}),

volumes as (
    select customer_key, sum(activity_transactions) as transactions, sum(activity_amount_usd) as amount_usd
    from {{ ref('fct_customer_volumes') }}
    group by customer_key
),

lapses as (
    select customer_key, count(lapsed_on) as lapses, max(lapsed_on) as last_lapsed_on, max(starting_date) as last_started_on
    from {{ ref('fct_activity_stretches') }}
    group by customer_key
),

final as (
    select
        customers.user_id,
        {{ dimension_columns('customers') }},
        customers.opening_date,
        customers.first_active_day,
        customers.last_active_day,
        cast(customers.active_days as {{ dbt.type_bigint() }}) as active_days,
        cast(coalesce(volumes.transactions, 0) as {{ dbt.type_bigint() }}) as transactions,
        cast(coalesce(volumes.amount_usd, 0) as {{ float_type() }}) as amount_usd,
        coalesce({{ days_between('customers.last_active_day', 'publication.as_of') }} < publication.inactivity_days, false)
            as is_active,
        {{ days_between('coalesce(customers.last_active_day, customers.opening_date)', 'publication.as_of') }} as days_silent,
        cast(coalesce(lapses.lapses, 0) as {{ dbt.type_bigint() }}) as lapses,
        case
            when customers.last_active_day is null then customers.opening_date
            when {{ days_between('customers.last_active_day', 'publication.as_of') }} < publication.inactivity_days
                then lapses.last_started_on
            else {{ add_days('customers.last_active_day', 1) }}
        end as state_since,
        case
            when {{ days_between('customers.last_active_day', 'publication.as_of') }} >= publication.inactivity_days
                then lapses.last_lapsed_on
        end as lapsed_on,
        publication.as_of,
    from customers
    inner join publication on customers.opening_date <= publication.as_of
    left join volumes on customers.customer_key = volumes.customer_key
    left join lapses on customers.customer_key = lapses.customer_key
)

select * from final
