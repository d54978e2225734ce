-- grain: one row per customer and transaction type, over usable transactions up to as_of
with transactions as (
    select transactions.*
    from {{ ref('fct_transactions') }} as transactions
    inner join {{ ref('dim_publication') }} as publication on transactions.transaction_date <= publication.as_of
    {%- if only_appends() %}
    where transactions.transaction_date >= {{ changed_from() }}
    {%- endif %}
),

counted as (
    select
        customer_key,
        coalesce(transaction_type, 'unknown') as transaction_type,
        min(user_id_text) as user_id_text,
        min(transaction_date) as first_date,
        max(transaction_date) as last_date,
        count(*) as transactions,
        sum(case when transaction_state = 'COMPLETED' then 1 else 0 end) as completed_transactions,
        sum(case when transaction_state = 'COMPLETED' then amount_usd else 0 end) as completed_amount_usd,
        sum(case when is_activity then 1 else 0 end) as activity_transactions,
        sum(case when is_activity then amount_usd else 0 end) as activity_amount_usd,
    from transactions
    group by customer_key, coalesce(transaction_type, 'unknown')
    {%- if only_appends() %}
    union all
    select * from {{ this }}
    {%- endif %}
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
    from counted
    group by customer_key, transaction_type
)

select * from final
