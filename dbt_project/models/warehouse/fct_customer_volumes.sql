-- grain: one row per customer and transaction type, over usable transactions up to as_of
{{ config(
    materialized='incremental',
    pre_hook=[
        "{{ neopulse.remember_volumes_of_changed_customers() }}",
        "{{ neopulse.forget('customer_key in (select customer_key from ' ~ neopulse.before('volumes') ~ ')') }}",
    ],
) }}

-- depends_on: {{ ref('change_window') }}
with
{%- if is_incremental() %}
{%- set changed = changed_from() %}
before as (select * from {{ before('volumes') }}),

-- of these the last run counted days that may be others now: what is older is counted anew
counted_anew as (select distinct customer_key from before where last_date >= {{ changed }}),

{%- endif %}
transactions as (
    select
        transactions.*,
        -- only of those that are no code: a text costs more to group by than all the rest
        case when transactions.transaction_type_code is null then coalesce(transactions.transaction_type, 'unknown') end as other_type,
    from {{ ref('fct_transactions') }} as transactions
    inner join {{ ref('dim_publication') }} as publication on transactions.transaction_date <= publication.as_of
    {%- if is_incremental() %}
    where transactions.transaction_date >= {{ changed }}
        {%- if has_volumes_of_days_from(changed) %}
        or transactions.customer_key in (select customer_key from counted_anew)
        {%- endif %}
    {%- endif %}
),

-- a known type by its code: its word is put together once a group
counted as (
    select
        customer_key,
        transaction_type_code,
        other_type,
        min(user_id_text) as user_id_text,
        min(transaction_date) as first_date,
        max(transaction_date) as last_date,
        count(*) as transactions,
        count(case when {{ is_completed() }} then 1 end) as completed_transactions,
        sum(case when {{ is_completed() }} then amount_usd else 0 end) as completed_amount_usd,
        count(case when is_activity then 1 end) as activity_transactions,
        sum(case when is_activity then amount_usd else 0 end) as activity_amount_usd,
    from transactions
    group by customer_key, transaction_type_code, other_type
),

by_type as (
    select
        customer_key,
        coalesce(other_type, {{ word_at(known_types(), 'transaction_type_code') }}) as transaction_type,
        user_id_text,
        first_date,
        last_date,
        transactions,
        completed_transactions,
        completed_amount_usd,
        activity_transactions,
        activity_amount_usd,
    from counted
),

{% if is_incremental() -%}
with_what_was_counted as (
    select * from by_type
    union all
    select * from before where customer_key not in (select customer_key from counted_anew)
),

final as (
    select
        customer_key,
        transaction_type,
        min(user_id_text) as user_id_text,
        min(first_date) as first_date,
        max(last_date) as last_date,
        cast(sum(transactions) as {{ dbt.type_bigint() }}) as transactions,
        cast(sum(completed_transactions) as {{ dbt.type_bigint() }}) as completed_transactions,
        sum(completed_amount_usd) as completed_amount_usd,
        cast(sum(activity_transactions) as {{ dbt.type_bigint() }}) as activity_transactions,
        sum(activity_amount_usd) as activity_amount_usd,
    from with_what_was_counted
    group by customer_key, transaction_type
)
{%- else -%}
final as (select * from by_type)
{%- endif %}

select * from final
