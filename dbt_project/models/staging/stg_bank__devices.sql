-- grain: one row per row of the bank's devices, usable or not
with source as (select * from {{ source('bank', 'devices') }}),

parsed as (
    select
        source.*,
        {{ bare_user_id('string_field_1') }} as bare_id,
        {{ row_as_text('source') }} as source_row,
    from source
),

renamed as (
    select
        bare_id as user_id,
        {{ customer_key('bare_id') }} as customer_key,
        {{ trimmed('string_field_0') }} as brand,
        case lower({{ trimmed('string_field_0') }}) when 'apple' then 'iOS' when 'android' then 'Android' else 'unknown' end as os,
        source_row,
    from parsed
),

final as (
    select
        *,
        case
            when lower(brand) = 'brand' then 'stray_header_row'
            when user_id is null then 'missing_user_id'
        end as rejection_reason,
    from renamed
)

select * from final
