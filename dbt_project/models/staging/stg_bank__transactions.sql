-- grain: one row per row of the bank's transactions that this run reads, usable or not
with source as (select * from {{ source('bank', 'transactions') }}),

-- each text is converted once here: DuckDB would do it again in every branch of a case
converted as (
    select
        source.*,
        {{ try_convert(transaction_digits('transaction_id'), dbt.type_bigint()) }} as transaction_number,
        {{ try_convert(user_digits('user_id'), dbt.type_bigint()) }} as user_number,
        nullif(upper(trim(transactions_type)), '') as transaction_type,
        nullif(upper(trim(transactions_state)), '') as transaction_state,
        {{ read_plain_moment('created_date') }} as plain_moment,
        {{ read_money('amount_usd') }} as money,
    from source
),

identified as (
    select
        *,
        {{ transaction_key_of_text('transaction_id', 'transaction_number') }} as transaction_key,
        {{ customer_key_of_text('user_id', 'user_number') }} as customer_key,
        {{ read_moment('created_date', 'plain_moment') }} as created_at,
    from converted
),

dated as (
    select
        *,
        {{ bank_day('created_at') }} as transaction_date,
    from identified
),

judged as (
    select
        *,
        case
            when transaction_key is null then 'missing_transaction_id'
            when customer_key is null then 'missing_user_id'
            when transaction_date is null then 'unreadable_created_date'
            when transaction_date > cast('{{ var("current_bank_day") }}' as date) then 'in_the_future'
            when transaction_date < cast('{{ var("earliest_bank_day") }}' as date) then 'too_long_ago'
        end as rejection_reason,
        -- of a row that can be used: what about it is doubtful all the same
        case
            when money is null and nullif(trim(amount_usd), '') is not null then 'unreadable_amount'
            when money < 0 then 'negative_amount'
            when money >= {{ var('absurd_amount_usd') }} and transaction_state = 'COMPLETED' then 'absurd_amount'
            when not {{ is_one_of('transaction_state', known_states()) }} then 'unknown_state'
            when not {{ is_one_of('transaction_type', known_types()) }} then 'unknown_type'
        end as doubt,
    from dated
),

final as (
    select
        source_part,
        nullif(trim(transaction_id), '') as transaction_id,
        transaction_key,
        {{ bare_user_id('user_id') }} as user_id,
        customer_key,
        transaction_type,
        transaction_state,
        money as amount_usd,
        {{ clean_flag('ea_cardholderpresence') }} as is_card_holder_present,
        {{ clean_country_alpha_3('ea_merchant_country') }} as merchant_country,
        created_at,
        transaction_date,
        doubt,
        rejection_reason,
        -- the columns that are read anyway; a whole row would have every column read for the sake of a few rows
        case when rejection_reason is not null then {{ columns_as_text([
            'transaction_id', 'transactions_type', 'transactions_state', 'amount_usd', 'user_id', 'created_date',
        ]) }} end as rejected_row,
    from judged
)

select * from final
