-- grain: one row per customer active on as_of: how likely it is that the next N days pass without an active day
with customers as (select * from {{ ref('dim_customers') }}),

publication as (select as_of from {{ ref('dim_publication') }}),

estimates as (select * from {{ ref('silence_estimates') }}),

recent as (
    select days.customer_key, count(*) as active_days, sum(days.amount_usd) as amount_usd
    from {{ ref('fct_customer_days') }} as days
    inner join publication on days.activity_date > {{ add_days('publication.as_of', -90) }}
    where days.activity_date > {{ add_days(as_of_of_this_run(), -90) }}
    group by days.customer_key
),

active as (
    select
        customers.*,
        publication.as_of,
        {{ days_between('customers.last_active_day', 'publication.as_of') }} as days_silent,
        coalesce(recent.active_days, 0) as recent_active_days,
        recent.amount_usd,
        {{ days_between('customers.first_active_day', 'publication.as_of') }} as tenure_days,
    from customers
    inner join publication
        on {{ days_between('customers.last_active_day', 'publication.as_of') }} < {{ inactivity_days() }}
    left join recent on customers.customer_key = recent.customer_key
),

in_cells as (
    select
        *,
        {{ band('days_silent', silence_bounds()) }} as silence_band,
        {{ band('recent_active_days', frequency_bounds()) }} as frequency_band,
        {{ band('tenure_days', tenure_bounds()) }} as tenure_band,
    from active
),

final as (
    select
        in_cells.user_id,
        {{ dimension_columns('in_cells') }},
        in_cells.last_active_day,
        cast(in_cells.days_silent as {{ dbt.type_int() }}) as days_silent,
        cast(in_cells.recent_active_days as {{ dbt.type_int() }}) as active_days_in_90,
        cast(coalesce(in_cells.amount_usd, 0) as {{ float_type() }}) as amount_usd_in_90,
        cast(in_cells.tenure_days as {{ dbt.type_int() }}) as tenure_days,
        in_cells.silence_band,
        in_cells.frequency_band,
        in_cells.tenure_band,
        estimates.silence_probability,
        estimates.silence_probability_low,
        estimates.silence_probability_high,
        {{ is_held_out('in_cells.user_id') }} as is_held_out,
        estimates.served_by,
        coalesce(estimates.observations, 0) as observations,
        {{ add_days('in_cells.last_active_day', inactivity_days()) }} as would_lapse_on,
        in_cells.as_of,
    from in_cells
    left join estimates
        on in_cells.as_of = estimates.judged_on
        and in_cells.silence_band = estimates.silence_band
        and in_cells.frequency_band = estimates.frequency_band
        and in_cells.tenure_band = estimates.tenure_band
)

select * from final
