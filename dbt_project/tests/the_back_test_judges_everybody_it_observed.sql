-- the bins of each judged day add up to the customers observed on that day, and to those of them that stayed silent
with observed as (
    select reference_day, sum(customers) as customers, sum(silent_customers) as silent_customers
    from {{ ref('silence_observations') }}
    group by reference_day
),

bins as (
    select judged_on, sum(customers) as customers, sum(silent_customers) as silent_customers
    from {{ ref('mart_silence_backtest') }}
    group by judged_on
)

select bins.*
from bins
left join observed on bins.judged_on = observed.reference_day
where observed.reference_day is null
    or bins.customers <> observed.customers
    or bins.silent_customers <> observed.silent_customers
