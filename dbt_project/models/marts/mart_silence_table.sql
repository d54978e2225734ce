-- grain: one row per cell of silence, frequency and tenure in which a customer was seen: the table that as_of is judged by
with estimates as (select * from {{ ref('silence_estimates') }}),

publication as (select as_of from {{ ref('dim_publication') }}),

final as (
    select
        estimates.silence_band,
        estimates.frequency_band,
        estimates.tenure_band,
        cast(estimates.customers_seen as {{ dbt.type_bigint() }}) as observations,
        cast(estimates.silent_customers_seen as {{ dbt.type_bigint() }}) as silent_observations,
        {{ share('estimates.silent_customers_seen', 'estimates.customers_seen') }} as observed_share,
        estimates.silence_probability,
        estimates.silence_probability_low,
        estimates.silence_probability_high,
    from estimates
    inner join publication on estimates.judged_on = publication.as_of
    where estimates.customers_seen > 0
)

select * from final
