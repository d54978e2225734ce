-- grain: one row per active customer who is likelier than not to have no active day in the next N days: whom to call before they leave
{{ config(materialized='view') }}

with risks as (select * from {{ ref('mart_silence_risk') }}),

final as (
    select
        user_id,
        country,
        plan,
        round(silence_probability, 2) as silence_probability,
        last_active_day,
        would_lapse_on,
        active_days_in_90,
        round(amount_usd_in_90, 2) as amount_usd_in_90,
        is_held_out,
    from risks
    where silence_probability >= {{ likely() }}
)

select * from final
