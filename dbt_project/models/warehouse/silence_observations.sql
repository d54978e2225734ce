-- grain: one row per reference day whose N following days are over, cell of silence, frequency and tenure, and held out or not
{{ config(materialized='incremental', pre_hook="{{ neopulse.forget_observations() }}") }}

{%- set kept = kept_observations() %}

with publication as (select as_of from {{ ref('dim_publication') }}),

customers as (
    select customer_key, first_active_day, {{ is_held_out('user_id') }} as is_held_out
    from {{ ref('dim_customers') }}
),

customer_days as (
    select days.customer_key, days.activity_date
    from {{ ref('fct_customer_days') }} as days
    inner join publication
        on days.activity_date
            > {{ add_days('publication.as_of', -(oldest_reference_day() + days_looked_back() + block_days() | int)) }}
    where {{ 'false' if kept.is_all else 'days.activity_date > ' ~ add_days(kept.up_to, -(days_looked_back())) }}
),

-- the one pass over the days; what follows has a row per customer and block of 30 days
blocks as (
    select
        customer_key,
        {{ reference_day('activity_date') }} as block_day,
        count(*) as active_days,
        min(activity_date) as first_day,
        max(activity_date) as last_day,
    from customer_days
    group by customer_key, {{ reference_day('activity_date') }}
),

neighbours as (
    select
        customer_key,
        block_day,
        active_days,
        last_day,
        lead(first_day) over (partition by customer_key order by block_day) as next_active_day,
        {%- for place in [1, 2] %}
        lag(block_day, {{ place }}) over (partition by customer_key order by block_day) as block_day_{{ place }},
        lag(active_days, {{ place }}) over (partition by customer_key order by block_day) as active_days_{{ place }},
        {%- endfor %}
    from blocks
),

-- a customer is looked at on the reference day of each active block, and on later ones while silent but not yet lapsed
steps as (
    {%- for step in range((inactivity_days() | int - 1) // (block_days() | int) + 1) %}
    {{ 'union all ' if not loop.first }}select {{ step * (block_days() | int) }} as days
    {%- endfor %}
),

looked_at as (
    select neighbours.*, {{ add_days('neighbours.block_day', 'steps.days') }} as reference_day
    from neighbours
    cross join steps
),

active as (
    select
        looked_at.*,
        {{ days_between('looked_at.last_day', 'looked_at.reference_day') }} as days_silent,
        {{ days_between('customers.first_active_day', 'looked_at.reference_day') }} as tenure_days,
        customers.is_held_out,
    from looked_at
    inner join customers on looked_at.customer_key = customers.customer_key
    cross join publication
    where (looked_at.next_active_day is null or looked_at.next_active_day > looked_at.reference_day)
        and {{ days_between('looked_at.last_day', 'looked_at.reference_day') }} < {{ inactivity_days() }}
        and {{ add_days('looked_at.reference_day', inactivity_days()) }} <= publication.as_of
        and {{ add_days('looked_at.reference_day', oldest_reference_day()) }} > publication.as_of
        and looked_at.reference_day > {{ kept.up_to }}
),

judged as (
    select
        reference_day,
        days_silent,
        tenure_days,
        is_held_out,
        {%- for suffix in ['', '_1', '_2'] %}
        case when {{ days_between('block_day' ~ suffix, 'reference_day') }} < 90 then active_days{{ suffix }} else 0 end
            {{- ' +' if not loop.last else ' as active_days,' }}
        {%- endfor %}
        next_active_day is null
            or {{ days_between('reference_day', 'next_active_day') }} > {{ inactivity_days() }} as stayed_silent,
    from active
),

in_cells as (
    select
        reference_day,
        {{ band('days_silent', silence_bounds()) }} as silence_band,
        {{ band('active_days', frequency_bounds()) }} as frequency_band,
        {{ band('tenure_days', tenure_bounds()) }} as tenure_band,
        is_held_out,
        stayed_silent,
    from judged
),

final as (
    select
        reference_day,
        silence_band,
        frequency_band,
        tenure_band,
        is_held_out,
        count(*) as customers,
        count(case when stayed_silent then 1 end) as silent_customers,
        {{ inactivity_days() }} as inactivity_days,   -- another N, and nothing of this is kept
    from in_cells
    group by reference_day, silence_band, frequency_band, tenure_band, is_held_out
)

select * from final
