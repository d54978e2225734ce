-- grain: one row per day from which the future is judged (as_of, and the days of the back-test) and cell, seen or not
with observations as (select * from {{ ref('silence_observations') }}),

publication as (select as_of from {{ ref('dim_publication') }}),

cuts as (
    select as_of as judged_on from publication
    union distinct
    select observations.reference_day
    from observations
    inner join publication
        on {{ add_days('observations.reference_day', inactivity_days() | int + back_tested_days() | int) }} > publication.as_of
),

-- only what was known on the day of the cut: outcomes whose N days were over by then
known as (
    select cuts.judged_on, observations.*
    from observations
    inner join cuts
        on {{ add_days('observations.reference_day', inactivity_days()) }} <= cuts.judged_on
        and {{ add_days('observations.reference_day', inactivity_days() | int + learning_days() | int) }} > cuts.judged_on
),

cells as (
    select silences.silence_band, frequencies.frequency_band, tenures.tenure_band, tenures.place as tenure_place
    from ({{ bands('silence_band', silence_bounds()) }}) as silences
    cross join ({{ bands('frequency_band', frequency_bounds()) }}) as frequencies
    cross join ({{ bands('tenure_band', tenure_bounds()) }}) as tenures
),

counted as (
    select
        judged_on,
        silence_band,
        frequency_band,
        tenure_band,
        sum(customers) as customers,
        sum(silent_customers) as silent_customers,
    from known
    group by judged_on, silence_band, frequency_band, tenure_band
),

filled as (
    select
        judged.judged_on,
        cells.*,
        coalesce(counted.customers, 0) as customers,
        coalesce(counted.silent_customers, 0) as silent_customers,
    from (select distinct judged_on from known) as judged
    cross join cells
    left join counted
        on judged.judged_on = counted.judged_on
        and cells.silence_band = counted.silence_band
        and cells.frequency_band = counted.frequency_band
        and cells.tenure_band = counted.tenure_band
),

-- the counts that lead from everybody to the cell, each within the one before
nested as (
    select
        *,
        {%- for level, keys in silence_levels() %}
        sum(customers) over (partition by {{ (['judged_on'] + keys) | join(', ') }}) as {{ level }}_customers,
        sum(silent_customers) over (partition by {{ (['judged_on'] + keys) | join(', ') }}) as {{ level }}_silent,
        {%- endfor %}
    from filled
),

by_everybody as (
    select *, {{ drawn_towards('everybody_silent', 'everybody_customers', '0.5e0', 1) }} as everybody_share
    from nested
),

by_silence as (
    select *, {{ drawn_towards('silence_silent', 'silence_customers', 'everybody_share', prior_weight()) }} as silence_share
    from by_everybody
),

by_frequency as (
    select *, {{ drawn_towards('frequency_silent', 'frequency_customers', 'silence_share', prior_weight()) }} as frequency_share
    from by_silence
),

by_tenure as (
    select *, {{ drawn_towards('tenure_silent', 'tenure_customers', 'frequency_share', prior_weight()) }} as tenure_share
    from by_frequency
),

-- in a bank's first months nobody is old yet: who grows older than anybody seen is judged as the oldest that were
by_younger as (
    select
        *,
        {%- for column in ['tenure_share', 'tenure_customers'] %}
        last_value(case when tenure_customers > 0 then {{ column }} end ignore nulls) over (
            partition by judged_on, silence_band, frequency_band order by tenure_place
            rows between unbounded preceding and current row
        ) as younger_{{ column }},
        {%- endfor %}
    from by_tenure
),

-- no cell is surer than half an observation among all of them: what is drawn from level to level counts the same ones again
kept_uncertain as (
    select
        *,
        {%- for share in ['tenure_share', 'younger_tenure_share', 'silence_share'] %}
        {{ share }} + (1 - 2 * {{ share }}) * 0.5e0 / (everybody_customers + 1) as uncertain_{{ share }},
        {%- endfor %}
    from by_younger
),

-- a cell that nobody was ever seen in has the estimate, the count and the interval of another
served as (
    select
        *,
        coalesce(uncertain_younger_tenure_share, uncertain_tenure_share) as probability,
        case
            when tenure_customers > 0 then 'silence, frequency and tenure'
            when younger_tenure_customers > 0 then 'silence, frequency and a younger tenure'
            when frequency_customers > 0 then 'silence and frequency'
            when silence_customers > 0 then 'silence'
            else 'everybody'
        end as served_by,
        case
            when younger_tenure_customers > 0 then younger_tenure_customers
            when frequency_customers > 0 then frequency_customers
            when silence_customers > 0 then silence_customers
            else everybody_customers
        end as observations,
    from kept_uncertain
),

weighed as (
    select *, {{ prior_weight() }} + observations / {{ times_observed_at_once() }} as weight
    from served
),

final as (
    select
        judged_on,
        silence_band,
        frequency_band,
        tenure_band,
        customers as customers_seen,
        silent_customers as silent_customers_seen,
        served_by,
        cast(observations as {{ dbt.type_bigint() }}) as observations,
        probability as silence_probability,
        {{ wilson_low('probability * weight', 'weight') }} as silence_probability_low,
        {{ wilson_high('probability * weight', 'weight') }} as silence_probability_high,
        uncertain_silence_share as probability_by_silence_alone,
    from weighed
)

select * from final
