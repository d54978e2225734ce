-- grain: one row per row of the bank's users, usable or not
with source as (select * from {{ source('bank', 'users') }}),

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
        {{ clean_integer('birth_year') }} as birth_year,
        {{ clean_attribute('country') }} as country,
        {{ clean_city('city') }} as city,
        city as city_text,
        {{ clean_attribute('plan') }} as plan,
        {{ clean_flag('user_settings_crypto_unlocked') }} as crypto_unlocked,
        {{ clean_flag('attributes_notifications_marketing_push') }} as notifications_push,
        {{ clean_flag('attributes_notifications_marketing_email') }} as notifications_email,
        {{ clean_integer('num_contacts') }} as contacts,
        {{ clean_integer('num_referrals') }} as referrals,
        {{ clean_integer('num_successful_referrals') }} as successful_referrals,
        created_at,
        {{ bank_day('created_at') }} as opening_date,
        source_row,
    from parsed
),

final as (
    select
        *,
        case
            when user_id is null then 'missing_user_id'
            when opening_date is null then 'unreadable_created_date'
            when opening_date > cast('{{ var("current_bank_day") }}' as date) then 'in_the_future'
            when opening_date < cast('{{ var("earliest_bank_day") }}' as date) then 'too_long_ago'
        end as rejection_reason,
    from renamed
)

select * from final
