-- grain: one row per day of return (null: none yet), gap in days and segment: pairs of active days that not every window bridges
{{ config(materialized='incremental', pre_hook="{{ neopulse.forget('returned_on is null or returned_on >= ' ~ neopulse.cubes_changed_from()) }}") }}

with breaks as (
    select * from {{ ref('fct_breaks') }}
    where returned_on is null or returned_on >= {{ cubes_changed_from() }}
),

final as (
    select
        last_active_day as activity_date,
        returned_on,
        gap_days,
        segment_id,
        count(*) as customers,
    from breaks
    group by last_active_day, returned_on, gap_days, segment_id
)

select * from final
