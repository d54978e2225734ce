-- grain: one row per month: premium customers beside standard ones
with churn as (select * from {{ ref('mart_monthly_churn_rate') }} where segment = 'plan_tier'),

premium as (select * from churn where segment_value = 'premium'),

standard as (select * from churn where segment_value = 'standard'),

final as (
    select
        coalesce(premium.month, standard.month) as month,
        premium.customers_at_start as premium_customers_at_start,
        premium.churned_customers as premium_churned_customers,
        premium.churn_rate as premium_churn_rate,
        premium.churn_rate_low as premium_churn_rate_low,
        premium.churn_rate_high as premium_churn_rate_high,
        standard.customers_at_start as standard_customers_at_start,
        standard.churned_customers as standard_churned_customers,
        standard.churn_rate as standard_churn_rate,
        standard.churn_rate_low as standard_churn_rate_low,
        standard.churn_rate_high as standard_churn_rate_high,
        coalesce(premium.final_on, standard.final_on) as final_on,
        coalesce(premium.is_provisional, standard.is_provisional) as is_provisional,
    from premium
    full outer join standard on premium.month = standard.month
)

select * from final
