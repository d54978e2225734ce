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
        {{ expected_and_come() }}
    from counted
)

select * from final
