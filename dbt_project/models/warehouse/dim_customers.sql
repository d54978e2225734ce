-- grain: one row per customer: who has a usable user row, and who has transactions without one
with users as (
    select
        *,
        row_number() over (partition by customer_key order by created_at, source_row) as copy_number,
    from {{ ref('stg_bank__users') }}
    where rejection_reason is null
),

devices as (
    select customer_key, min(os) as os
    from {{ ref('stg_bank__devices') }}
    where rejection_reason is null
    group by customer_key
),

transactions as (select * from {{ ref('fct_transactions') }}),

activity as (
    select
        customer_key,
        min(activity_date) as first_active_day,
        max(activity_date) as last_active_day,
        count(*) as active_days,
    from {{ ref('fct_customer_days') }}
    group by customer_key
),

known as (select * from users where copy_number = 1),

inferred as (
    select
        transactions.customer_key,
        coalesce(min(transactions.user_id_text), cast(transactions.customer_key as {{ dbt.type_string() }})) as user_id,
        min(transactions.transaction_date) as opening_date,
    from transactions
    left join known on transactions.customer_key = known.customer_key
    where known.customer_key is null
    group by transactions.customer_key
),

customers as (
    select
        customer_key, user_id, birth_year, country, city, plan, crypto_unlocked, notifications_push, notifications_email,
        contacts, referrals, successful_referrals, opening_date, true as has_user_row,
    from known
    union all
    select
        customer_key, user_id, null, null, null, null, null, null, null,
        null, null, null, opening_date, false,
    from inferred
),

final as (
    select
        customers.customer_key,
        customers.user_id,
        least(customers.opening_date, coalesce(activity.first_active_day, customers.opening_date)) as opening_date,
        customers.opening_date as declared_opening_date,
        activity.first_active_day,
        activity.last_active_day,
        coalesce(activity.active_days, 0) as active_days,
        customers.birth_year,
        {{ age_band('extract(year from customers.opening_date) - customers.birth_year') }} as age_band,
        coalesce(customers.country, 'unknown') as country,
        customers.city,
        coalesce(customers.plan, 'unknown') as plan,
        case when customers.plan is null then 'unknown' when customers.plan = 'STANDARD' then 'standard' else 'premium' end
            as plan_tier,
        coalesce(devices.os, 'unknown') as os,
        customers.crypto_unlocked,
        customers.notifications_push,
        customers.notifications_email,
        customers.contacts,
        customers.referrals,
        customers.successful_referrals,
        customers.has_user_row,
    from customers
    left join devices on customers.customer_key = devices.customer_key
    left join activity on customers.customer_key = activity.customer_key
)

select * from final
