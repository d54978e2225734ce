-- grain: one row per row of the bank's notifications, usable or not
with source as (select * from {{ source('bank', 'notifications') }}),

parsed as (
    select
        source.*,
        {{ bare_user_id('user_id') }} as bare_id,
        {{ read_moment('created_date') }} as created_at,
        {{ row_as_text('source') }} as source_row,
    from source
),

renamed as (
    select
        bare_id as user_id,
        {{ customer_key('bare_id') }} as customer_key,
        upper({{ trimmed('reason') }}) as notification_reason,
        upper({{ trimmed('channel') }}) as channel,
        upper({{ trimmed('status') }}) as status,
        created_at,
        {{ bank_day('created_at') }} as notification_date,
        source_row,
    from parsed
),

final as (
    select
        *,
        case
            when user_id is null then 'missing_user_id'
            when notification_date is null then 'unreadable_created_date'
        end as rejection_reason,
    from renamed
)

select * from final
