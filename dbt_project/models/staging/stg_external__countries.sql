-- grain: one row per country
with source as (select * from {{ source('external', 'external_countries') }}),

renamed as (
    select
        upper(alpha_2) as country,
        upper(alpha_3) as alpha_3,
        name_en,
        name_fr,
        capital,
        region,
        cast(population as bigint) as population,
        cast(area_km2 as {{ float_type() }}) as area_km2,
        currency,
        source.source as facts_source,
        cast(as_of as date) as facts_as_of,
    from source
)

select * from renamed
