-- grain: one row per day of the back-test and tenth of probability: what was expected from that day on, and what came
with judged as (select * from {{ ref('silence_backtest_cells') }}),

binned as (
    select *, {{ tenth('silence_probability') }} as tenth
    from judged
),

counted as (
    select
        judged_on,
        tenth,
        sum(customers) as customers,
        sum(silent_customers) as silent_customers,
        sum(customers * silence_probability) as expected_silent_customers,
    from binned
    group by judged_on, tenth
),

final as (
    select
        judged_on,
        cast(tenth as {{ dbt.type_int() }}) as tenth,
        {{ expected_and_come() }}
    from counted
)

select * from final
