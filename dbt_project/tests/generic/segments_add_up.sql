{# Within each dimension the values add up to everybody, for each key and each of the counts. #}
{% test segments_add_up(model, keys, counts) %}
with by_segment as (
    select
        {{ keys | join(', ') }},
        segment,
        {%- for count in counts %}
        sum({{ count }}) as {{ count }},
        {%- endfor %}
    from {{ model }}
    group by {{ keys | join(', ') }}, segment
)

select parts.*
from by_segment as parts
inner join by_segment as everybody
    on everybody.segment = 'all'
    {%- for key in keys %} and parts.{{ key }} = everybody.{{ key }}{% endfor %}
where {% for count in counts %}parts.{{ count }} <> everybody.{{ count }}{{ ' or ' if not loop.last }}{% endfor %}
{% endtest %}
