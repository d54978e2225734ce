-- grain: one row per country that has facts or customers
with facts as (select * from {{ ref('stg_external__countries') }}),

customers as (select distinct country from {{ ref('dim_customers') }}),

final as (
    select
        coalesce(facts.country, customers.country) as country,
        facts.* {{ without('country') }},
    from facts
    full outer join customers on facts.country = customers.country
)

select * from final
