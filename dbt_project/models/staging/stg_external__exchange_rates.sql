-- grain: one row per banking day and currency
with source as (select * from {{ source('external', 'external_exchange_rates') }}),

renamed as (
    select
        rate_date,
        upper(base) as base,
        upper(quote) as quote,
        cast(rate as {{ float_type() }}) as rate,
        source.source as rate_source,
        cast(as_of as date) as told_on,
    from source
)

select * from renamed
