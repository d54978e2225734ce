-- grain: one row per row of the bank's transactions, usable or not
with source as (select * from {{ source('bank', 'transactions') }}),

parsed as (
    select
        source.*,
        {{ bare_user_id('user_id') }} as bare_id,
        {{ read_moment('created_date') }} as created_at,
        {{ bank_day(read_moment('created_date')) }} as transaction_date,
    from source
),

judged as (
    select
        parsed.*,
        case
            when nullif(trim(transaction_id), '') is null then 'missing_transaction_id'
            when bare_id is null then 'missing_user_id'
            when created_at is null then 'unreadable_created_date'
            when transaction_date > cast('{{ var("current_bank_day") }}' as date) then 'in_the_future'
        end as rejection_reason,
    from parsed
),

final as (
    select
        nullif(trim(transaction_id), '') as transaction_id,
        {{ text_hash('trim(transaction_id)') }} as transaction_key,
        bare_id as user_id,
        {{ customer_key('bare_id') }} as customer_key,
        nullif(upper(trim(transactions_type)), '') as transaction_type,
        nullif(upper(trim(transactions_state)), '') as transaction_state,
        nullif(upper(trim(transactions_currency)), '') as currency,
        nullif(upper(trim(direction)), '') as direction,
        {{ read_money('amount_usd') }} as amount_usd,
        {{ read_money('amount_usd') }} is null and nullif(trim(amount_usd), '') is not null as has_unreadable_amount,
        {{ clean_flag('ea_cardholderpresence') }} as is_card_holder_present,
        {{ clean_integer('ea_merchant_mcc') }} as merchant_category_code,
        {{ clean_city('ea_merchant_city') }} as merchant_city,
        {{ clean_country_alpha_3('ea_merchant_country') }} as merchant_country,
        created_at,
        transaction_date,
        rejection_reason,
        case when rejection_reason is not null then {{ row_as_text('judged') }} end as rejected_row,
    from judged
)

select * from final
