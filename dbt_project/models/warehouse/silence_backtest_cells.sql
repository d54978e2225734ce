-- grain: one row per day of the back-test and cell, held out or not: the probability given to it on that day, and how many stayed silent
with estimates as (select * from {{ ref('silence_estimates') }}),

observations as (select * from {{ ref('silence_observations') }}),

final as (
    select
        observations.reference_day as judged_on,
        observations.silence_band,
        observations.frequency_band,
        observations.tenure_band,
        observations.is_held_out,
        observations.customers,
        observations.silent_customers,
        estimates.silence_probability,
        estimates.probability_by_silence_alone,
    from observations
    inner join estimates
        on observations.reference_day = estimates.judged_on
        and observations.silence_band = estimates.silence_band
        and observations.frequency_band = estimates.frequency_band
        and observations.tenure_band = estimates.tenure_band
)

select * from final
