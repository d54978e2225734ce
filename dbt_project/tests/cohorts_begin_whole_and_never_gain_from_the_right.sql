-- first-activity cohorts stand at 100 % in period 0; unbounded retention covers classic and never rises
with cohorts as (
    select
        *,
        lag(active_customers_unbounded) over (
            partition by cohort_kind, grain, segment, segment_value, cohort order by period
        ) as unbounded_before,
    from {{ ref('mart_retention_cohorts') }}
)

select *
from cohorts
where (cohort_kind = 'first_activity' and period = 0 and active_customers <> cohort_customers)
    or active_customers > active_customers_unbounded
    or active_customers_unbounded > cohort_customers
    or active_customers_unbounded > unbounded_before
