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
        cast(customers as {{ dbt.type_bigint() }}) as customers,
        expected_silent_customers,
        cast(silent_customers as {{ dbt.type_bigint() }}) as silent_customers,
        {{ share('expected_silent_customers', 'customers') }} as expected_share,
        {{ share('silent_customers', 'customers') }} as observed_share,
        {{ wilson_low('silent_customers', 'customers') }} as observed_share_low,
        {{ wilson_high('silent_customers', 'customers') }} as observed_share_high,
        {{ add_days('judged_on', inactivity_days()) }} as final_on,
        false as is_provisional,
    from counted
)

select * from final
