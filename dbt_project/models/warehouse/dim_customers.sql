-- grain: one row per customer: who has a usable user row, and who has transactions without one
{{ config(pre_hook="{{ neopulse.remember('customers', 'customer_key, segment_id, opening_date, last_active_day') }}") }}

with accounts as (select * from {{ ref('customer_accounts') }} where rejection_reason is null),

devices as (select * from {{ ref('customer_devices') }} where rejection_reason is null),

activity as (select * from {{ ref('fct_customer_activity') }}),

inferred as (
    select
        volumes.customer_key,
        coalesce(min(volumes.user_id_text), cast(volumes.customer_key as {{ dbt.type_string() }})) as user_id,
        min(volumes.first_date) as opening_date,
    from {{ ref('fct_customer_volumes') }} as volumes
    left join accounts on volumes.customer_key = accounts.customer_key
    where accounts.customer_key is null
    group by volumes.customer_key
),

customers as (
    select
        customer_key, user_id, birth_year, country, city, plan, crypto_unlocked, notifications_push, notifications_email,
        contacts, referrals, successful_referrals, opening_date, true as has_user_row,
    from accounts
    union all
    select
        customer_key, user_id, null, null, null, null, null, null, null,
        null, null, null, opening_date, false,
    from inferred
),

described as (
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
),

with_cohort as (
    select
        *,
        {{ month_text('opening_date') }} as signup_cohort,
    from described
),

-- a digest a combination and not a customer: it costs more than all the rest of the row
segments as (
    select
        *,
        {{ segment_id() }} as segment_id,
    from (select distinct {{ dimension_columns() }} from with_cohort) as combinations
),

final as (
    select with_cohort.*, segments.segment_id
    from with_cohort
    inner join segments
        on {% for dimension in dimensions() %}{{ 'and ' if not loop.first }}with_cohort.{{ dimension }} = segments.{{ dimension }}
        {% endfor %}
)

select * from final
