-- grain: one row per day of the back-test: how far the expected shares were from what came, and what they were worth
with cells as (select * from {{ ref('silence_backtest_cells') }}),

bins as (select * from {{ ref('mart_silence_backtest') }}),

calibration as (
    select
        judged_on,
        sum(abs(expected_silent_customers - silent_customers)) / sum(customers) as calibration_error,
        max(final_on) as final_on,
    from bins
    group by judged_on
),

scored as (
    select
        judged_on,
        sum(customers) as customers,
        sum(silent_customers) as silent_customers,
        sum(customers * silence_probability) as expected_silent_customers,
        {%- for name, probability in [('brier', 'silence_probability'), ('brier_by_silence_alone', 'probability_by_silence_alone')] %}
        sum(
            silent_customers * (1 - {{ probability }}) * (1 - {{ probability }})
            + (customers - silent_customers) * {{ probability }} * {{ probability }}
        ) / sum(customers) as {{ name }},
        {%- endfor %}
    from cells
    group by judged_on
),

-- how far a perfect forecast would seem to be off with so few customers: the mean of |normal| is sqrt(2 / pi) of its spread
chance_by_bin as (
    select
        judged_on,
        sqrt(sum(customers * silence_probability * (1 - silence_probability)) * 2 / 3.141592653589793e0) as customers_off,
    from cells
    group by judged_on, {{ tenth('silence_probability') }}
),

chance as (
    select judged_on, sum(customers_off) as customers_off
    from chance_by_bin
    group by judged_on
),

-- what somebody would score who gives every customer the share that really came: no forecast knows it beforehand
with_base as (
    select
        *,
        {{ share('silent_customers', 'customers') }} as observed_share,
        {{ share('silent_customers', 'customers') }} * (1 - {{ share('silent_customers', 'customers') }}) as brier_of_the_base_rate,
    from scored
),

final as (
    select
        with_base.judged_on,
        cast(with_base.customers as {{ dbt.type_bigint() }}) as customers,
        {{ share('with_base.expected_silent_customers', 'with_base.customers') }} as expected_share,
        with_base.observed_share,
        calibration.calibration_error,
        chance.customers_off / with_base.customers as calibration_error_by_chance,
        with_base.brier as brier_score,
        1 - with_base.brier / nullif(with_base.brier_of_the_base_rate, 0) as skill_over_base_rate,
        1 - with_base.brier / nullif(with_base.brier_by_silence_alone, 0) as skill_over_silence_alone,
        calibration.final_on,
        false as is_provisional,
    from with_base
    inner join calibration on with_base.judged_on = calibration.judged_on
    inner join chance on with_base.judged_on = chance.judged_on
)

select * from final
