-- grain: one row per month and segment: what the customers of the month before moved then and now
{{ config(materialized='incremental', pre_hook="{{ neopulse.forget_cube_months('month') }}") }}

with customer_months as (
    select * from {{ ref('fct_customer_months') }}
    where month >= {{ add_months(month_start(cubes_changed_from()), -1) }}
),

people as (select * from {{ ref('dim_customers') }}),

publication as (select * from {{ ref('dim_publication') }}),

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
        people.segment_id,
        count(*) as customers,
        cast(sum(compared.amount_before_usd) as {{ float_type() }}) as amount_before_usd,
        cast(sum(compared.amount_after_usd) as {{ float_type() }}) as amount_after_usd,
        cast(sum(least(compared.amount_before_usd, compared.amount_after_usd)) as {{ float_type() }}) as amount_kept_usd,
        {{ month_end('compared.month') }} as final_on,
        {{ month_end('compared.month') }} > max(publication.as_of) as is_provisional,
    from compared
    inner join people on compared.customer_key = people.customer_key
    inner join publication on compared.month <= publication.as_of
    group by compared.month, people.segment_id
)

select * from final
