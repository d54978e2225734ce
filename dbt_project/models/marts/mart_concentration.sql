-- grain: one row per month, measure (amount or transactions) and segment value (everybody, or one country)
{{ config(materialized='incremental', pre_hook="{{ neopulse.forget_cube_months('month') }}") }}

-- a sort of every customer's month would cost more than all other monthly marts: classes are counted in one pass
with publication as (select * from {{ ref('dim_publication') }}),

customer_months as (
    select
        months.month,
        people.country,
        months.amount_usd,
        months.transactions,
        {{ amount_class('months.amount_usd') }} as amount_class,
    from {{ ref('fct_customer_months') }} as months
    inner join {{ ref('dim_customers') }} as people on months.customer_key = people.customer_key
    {% if builds_on_the_last_run() -%}
    where months.month >= {{ month_start(cubes_changed_from()) }}
    {% endif -%}
),

by_country as (
    select
        month,
        case when grouping(transactions) = 0 then 'transactions' else 'amount' end as measure,
        country,
        case when grouping(transactions) = 0 then cast(transactions as bigint) else amount_class end as class,
        count(*) as customers,
        cast(
            case when grouping(transactions) = 0 then sum(transactions) else sum(amount_usd) end as {{ float_type() }}
        ) as total,
    from customer_months
    group by grouping sets ((month, country, amount_class), (month, country, transactions))
),

classes as (
    select month, measure, 'country' as segment, country as segment_value, class, customers, total
    from by_country
    where class is not null
    union all
    select month, measure, 'all' as segment, 'all' as segment_value, class, sum(customers) as customers, sum(total) as total
    from by_country
    where class is not null
    group by month, measure, class
),

ranked as (
    select
        *,
        sum(customers) over (partition by month, measure, segment, segment_value) as customers_in_all,
        sum(customers) over (
            partition by month, measure, segment, segment_value order by class desc
            rows between unbounded preceding and current row
        ) - customers as customers_above,
    from classes
),

measured as (
    select
        month,
        measure,
        segment,
        segment_value,
        cast(max(customers_in_all) as bigint) as customers,
        sum(total) as total,
        {{ share_of_largest(1) }} as share_of_top_1_percent,
        {{ share_of_largest(10) }} as share_of_top_10_percent,
        {{ gini() }} as gini,
    from ranked
    group by month, measure, segment, segment_value
),

final as (
    select
        measured.month,
        measured.measure,
        measured.segment,
        measured.segment_value,
        measured.customers,
        cast(measured.total as {{ float_type() }}) as total,
        cast(measured.share_of_top_1_percent as {{ float_type() }}) as share_of_top_1_percent,
        cast(measured.share_of_top_10_percent as {{ float_type() }}) as share_of_top_10_percent,
        cast(measured.gini as {{ float_type() }}) as gini,
        {{ month_end('measured.month') }} as final_on,
        {{ month_end('measured.month') }} > publication.as_of as is_provisional,
    from measured
    cross join publication
)

select * from final
