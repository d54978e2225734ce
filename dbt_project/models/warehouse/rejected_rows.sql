-- grain: one row per row of the bank and thing wrong with it; 'rejected' is left out of every figure, 'kept' is counted
with transactions as (select * from {{ ref('typed_transactions') }} where rejection_reason is not null),

repeated as (select * from {{ ref('repeated_transactions') }} where rejection_reason is not null),

usable as (select * from {{ ref('fct_transactions') }}),

customers as (select * from {{ ref('dim_customers') }}),

users as (select * from {{ ref('stg_bank__users') }}),

repeated_users as (
    select
        *,
        row_number() over (partition by customer_key order by created_at, source_row) as copy_number,
        first_value(source_row) over (partition by customer_key order by created_at, source_row) as counted_row,
    from users
    where rejection_reason is null
),

devices as (
    select
        *,
        case when rejection_reason is null
            then row_number() over (partition by customer_key, rejection_reason is null order by os, source_row)
        end as copy_number,
    from {{ ref('stg_bank__devices') }}
),

notifications as (select * from {{ ref('stg_bank__notifications') }} where rejection_reason is not null),

doubtful as (
    select
        usable.transaction_id,
        case
            when usable.has_unreadable_amount then 'unreadable_amount'
            when usable.amount_usd < 0 then 'negative_amount'
            when usable.transaction_state is null or usable.transaction_state not in ({{ text_list(known_states()) }})
                then 'unknown_state'
            when usable.transaction_type is null or usable.transaction_type not in ({{ text_list(known_types()) }})
                then 'unknown_type'
            when not customers.has_user_row then 'customer_without_user_row'
            when usable.transaction_date < customers.declared_opening_date then 'before_account_opening'
        end as reason,
    from usable
    inner join customers on usable.customer_key = customers.customer_key
),

final as (
    select
        'transactions' as source_table, transaction_id as row_key, rejection_reason as reason, 'rejected' as disposition,
        rejected_row as source_row,
    from transactions
    union all
    select 'transactions', transaction_id, rejection_reason, 'rejected', row_text from repeated
    union all
    select 'transactions', transaction_id, reason, 'kept', null from doubtful where reason is not null
    union all
    select 'users', user_id, rejection_reason, 'rejected', source_row from users where rejection_reason is not null
    union all
    select
        'users', user_id,
        case when source_row = counted_row then 'exact_duplicate' else 'conflicting_duplicate' end, 'rejected', source_row,
    from repeated_users
    where copy_number > 1
    union all
    select 'users', user_id, 'city_with_digits', 'kept', source_row
    from repeated_users
    where copy_number = 1 and city is null and nullif(trim(city_text), '') is not null
    union all
    select 'devices', user_id, coalesce(rejection_reason, 'repeated_device'), 'rejected', source_row
    from devices
    where rejection_reason is not null or copy_number > 1
    union all
    select 'notifications', user_id, rejection_reason, 'rejected', source_row from notifications
)

select * from final
