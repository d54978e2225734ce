-- grain: one row per country of a customer, with its facts
{{ config(materialized='view') }}

with customers as (select * from {{ ref('mart_customers') }}),

countries as (select * from {{ ref('dim_countries') }}),

counted as (
    select
        country,
        count(*) as customers,
        count(case when is_active then 1 end) as active_customers,
        count(first_active_day) as ever_active_customers,
        -- to the cent, whatever the order in which the parts are added
        round(sum(amount_usd), 2) as amount_usd,
    from customers
    group by country
),

final as (
    select
        counted.country,
        countries.name_en,
        countries.name_fr,
        countries.capital,
        countries.region,
        countries.population,
        countries.area_km2,
        countries.currency,
        countries.facts_source,
        countries.facts_as_of,
        counted.customers,
        counted.ever_active_customers,
        counted.active_customers,
        {{ share('counted.active_customers', 'counted.ever_active_customers') }} as active_share,
        {{ wilson_low('counted.active_customers', 'counted.ever_active_customers') }} as active_share_low,
        {{ wilson_high('counted.active_customers', 'counted.ever_active_customers') }} as active_share_high,
        {{ share('counted.customers', 'countries.population') }} * 1000000 as customers_per_million_inhabitants,
        counted.amount_usd,
    from counted
    left join countries on counted.country = countries.country
)

select * from final
