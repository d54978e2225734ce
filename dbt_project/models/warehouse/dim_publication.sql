-- grain: one row: what this version is a statement about
with transactions as (select * from {{ ref('fct_transactions') }}),

days as (
    select
        max(case when transaction_date < cast('{{ var("current_bank_day") }}' as date) then transaction_date end)
            as last_day_over,
        min(transaction_date) as first_day,
        count(*) as transactions,
    from transactions
),

final as (
    select
        {% if var('as_of') -%}
        cast('{{ var("as_of") }}' as date) as as_of,
        {%- else -%}
        last_day_over as as_of,
        {%- endif %}
        first_day,
        cast({{ inactivity_days() }} as integer) as inactivity_days,
        cast({{ shortest_window_days() }} as integer) as shortest_window_days,
        '{{ var("bank_timezone") }}' as bank_timezone,
        '{{ activity_rule() }}' as activity_rule,
        '{{ var("source_name") }}' as source_name,
        transactions,
    from days
)

select * from final
