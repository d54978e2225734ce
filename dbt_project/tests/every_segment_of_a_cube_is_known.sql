-- what a cube counts under a segment_id that dim_segments lacks would be in no figure by dimension
with used as (
    {%- for cube in [
        ref('mart_activity_gaps'), ref('mart_daily_counts'), ref('mart_record_gaps'), ref('mart_month_lapses'), ref('mart_cohort_cells'),
        ref('mart_cohort_members'), ref('mart_l28'), ref('mart_amount_retention'), ref('mart_transactions_monthly'),
    ] %}
    {{ 'union all ' if not loop.first }}select distinct '{{ cube.identifier }}' as mart, segment_id from {{ cube }}
    {%- endfor %}
)

select used.*
from used
left join {{ ref('dim_segments') }} as segments on used.segment_id = segments.segment_id
where segments.segment_id is null
