-- each day that was judged has its bins; they add up to the customers observed on it, and to those of them that stayed silent
with judged as (select distinct judged_on from {{ ref('silence_estimates') }}),

observed as (
    select
        observations.reference_day as judged_on,
        sum(observations.customers) as customers,
        sum(observations.silent_customers) as silent_customers,
    from {{ ref('silence_observations') }} as observations
    inner join judged on observations.reference_day = judged.judged_on
    group by observations.reference_day
),

bins as (
    select judged_on, sum(customers) as customers, sum(silent_customers) as silent_customers
    from {{ ref('mart_silence_backtest') }}
    group by judged_on
)

select coalesce(observed.judged_on, bins.judged_on) as judged_on, observed.customers, bins.customers as judged_customers
from observed
full outer join bins on observed.judged_on = bins.judged_on
where observed.judged_on is null
    or bins.judged_on is null
    or bins.customers <> observed.customers
    or bins.silent_customers <> observed.silent_customers
