-- grain: one row per tenure, record gap (longer than all before it; null: none up to as_of), record before it, and dimensions
with customer_days as (select * from {{ ref('fct_customer_days') }}),

customers as (select * from {{ ref('dim_customers') }}),

publication as (select * from {{ ref('dim_publication') }}),

-- an open gap is one day longer than the silence: it exceeds N exactly when as_of - last >= N
gaps as (
    select
        customer_days.customer_key,
        customer_days.activity_date,
        coalesce(
            {{ days_between('customer_days.activity_date', 'customer_days.next_activity_date') }},
            {{ days_between('customer_days.activity_date', 'publication.as_of') }} + 1
        ) as gap_days,
    from customer_days
    cross join publication
),

compared as (
    select
        *,
        coalesce(
            max(gap_days) over (
                partition by customer_key order by activity_date rows between unbounded preceding and 1 preceding
            ),
            0
        ) as previous_record_days,
    from gaps
),

records as (
    select customer_key, activity_date, gap_days, previous_record_days
    from compared
    where gap_days > previous_record_days
),

-- what is known of those who never lapse under a long window: they were followed up to as_of
ends as (
    select
        records.customer_key,
        max(publication.as_of) as activity_date,
        cast(null as integer) as gap_days,
        max(records.gap_days) as previous_record_days,
    from records
    cross join publication
    group by records.customer_key
),

together as (
    select * from records
    union all
    select * from ends
),

final as (
    select
        {{ days_between('customers.first_active_day', 'together.activity_date') }} as tenure_days,
        together.gap_days,
        together.previous_record_days,
        {{ dimension_columns('customers') }},
        count(*) as customers,
    from together
    inner join customers on together.customer_key = customers.customer_key
    group by
        {{ days_between('customers.first_active_day', 'together.activity_date') }},
        together.gap_days,
        together.previous_record_days,
        {{ dimension_columns('customers') }}
)

select * from final
order by tenure_days
