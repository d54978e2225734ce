-- grain: one row per row of the bank and thing wrong with it; 'rejected' is left out of every figure, 'kept' is counted
with transactions as (select * from {{ ref('typed_transactions') }} where rejection_code is not null),

repeated as (select * from {{ ref('repeated_transactions') }} where rejection_reason is not null),

customers as (select * from {{ ref('dim_customers') }}),

accounts as (select * from {{ ref('customer_accounts') }}),

devices as (select * from {{ ref('customer_devices') }} where rejection_reason is not null),

notifications as (select * from {{ ref('rejected_notifications') }}),

-- of a bank that sends no users nobody is missing from them: mart_data_quality says so once
users as (select count(*) as customers from customers where has_user_row),

-- few customers, so that few of the transactions are looked at
customers_in_doubt as (
    select customers.customer_key, customers.declared_opening_date, customers.has_user_row
    from customers
    inner join {{ ref('fct_customer_volumes') }} as volumes on customers.customer_key = volumes.customer_key
    cross join users
    where customers.has_user_row or users.customers > 0
    group by customers.customer_key, customers.declared_opening_date, customers.has_user_row
    having not customers.has_user_row or min(volumes.first_date) < customers.declared_opening_date
),

doubtful as (
    select {{ transaction_id('usable') }} as transaction_id, doubt as reason, true as counts_row
    from {{ ref('fct_transactions') }} as usable
    where doubt is not null
    union all
    select
        {{ transaction_id('usable') }},
        case
            when not customers_in_doubt.has_user_row then 'customer_without_user_row'
            when usable.transaction_date < customers_in_doubt.declared_opening_date then 'before_account_opening'
        end,
        usable.doubt is null,
    from {{ ref('fct_transactions') }} as usable
    inner join customers_in_doubt on usable.customer_key = customers_in_doubt.customer_key
),

final as (
    select
        'transactions' as source_table,
        {{ transaction_id('transactions') }} as row_key,
        {{ word_at(rejection_reasons(), 'rejection_code') }} as reason,
        'rejected' as disposition,
        source_row,
        true as counts_row,
    from transactions
    union all
    select 'transactions', transaction_id, rejection_reason, 'rejected', row_text, true from repeated
    union all
    select 'transactions', transaction_id, reason, 'kept', null, counts_row from doubtful where reason is not null
    union all
    select 'users', user_id, rejection_reason, 'rejected', source_row, true from accounts where rejection_reason is not null
    union all
    select 'users', user_id, 'city_with_digits', 'kept', source_row, true
    from accounts
    where has_city_with_digits
    union all
    select 'devices', user_id, rejection_reason, 'rejected', source_row, true from devices
    union all
    select 'notifications', user_id, rejection_reason, 'rejected', source_row, true from notifications
)

select * from final
