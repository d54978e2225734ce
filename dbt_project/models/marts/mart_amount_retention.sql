-- grain: one row per month and combination of dimensions: what the customers of the month before moved then and now
with customer_days as (select * from {{ ref('fct_customer_days') }}),

customers as (select * from {{ ref('dim_customers') }}),

publication as (select * from {{ ref('dim_publication') }}),

customer_months as (
    select customer_key, {{ month_start('activity_date') }} as month, sum(amount_usd) as amount_usd
    from customer_days
    group by customer_key, {{ month_start('activity_date') }}
),

compared as (
    select
        before.customer_key,
        {{ add_months('before.month', 1) }} as month,
        before.amount_usd as amount_before_usd,
        coalesce(after.amount_usd, 0) as amount_after_usd,
    from customer_months as before
    left join customer_months as after
        on before.customer_key = after.customer_key and after.month = {{ add_months('before.month', 1) }}
    where before.amount_usd > 0
),

final as (
    select
        compared.month,
        {{ dimension_columns('customers') }},
        count(*) as customers,
        cast(sum(compared.amount_before_usd) as {{ float_type() }}) as amount_before_usd,
        cast(sum(compared.amount_after_usd) as {{ float_type() }}) as amount_after_usd,
        cast(sum(least(compared.amount_before_usd, compared.amount_after_usd)) as {{ float_type() }}) as amount_kept_usd,
        {{ month_end('compared.month') }} as final_on,
        {{ month_end('compared.month') }} > max(publication.as_of) as is_provisional,
    from compared
    inner join customers on compared.customer_key = customers.customer_key
    inner join publication on compared.month <= publication.as_of
    group by compared.month, {{ dimension_columns('customers') }}
)

select * from final
