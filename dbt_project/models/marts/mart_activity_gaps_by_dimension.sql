-- grain: one row per segment value, day of return (null: none yet) and gap in days
{{ config(materialized='incremental', pre_hook="{{ neopulse.forget('returned_on is null or returned_on >= ' ~ neopulse.cubes_changed_from()) }}") }}

with gaps as (
    select gaps.*, {{ dimension_columns('segments') }}
    from {{ ref('mart_activity_gaps') }} as gaps
    inner join {{ ref('dim_segments') }} as segments on gaps.segment_id = segments.segment_id
    where gaps.returned_on is null or gaps.returned_on >= {{ cubes_changed_from() }}
),

final as (
    select
        {{ segment_columns() }},
        activity_date,
        returned_on,
        gap_days,
        cast(sum(customers) as {{ dbt.type_bigint() }}) as customers,
    from gaps
    group by {{ segment_sets(['activity_date', 'returned_on', 'gap_days']) }}
)

select * from final
