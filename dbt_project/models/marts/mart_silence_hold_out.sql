-- grain: one row per day of the back-test and held out or not: of who was on the list of early warnings that day, how many stayed silent
with cells as (select * from {{ ref('silence_backtest_cells') }}),

counted as (
    select
        judged_on,
        is_held_out,
        sum(customers) as customers,
        sum(silent_customers) as silent_customers,
        sum(customers * silence_probability) as expected_silent_customers,
    from cells
    where silence_probability >= {{ likely() }}
    group by judged_on, is_held_out
),

final as (
    select
        judged_on,
        is_held_out,
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
